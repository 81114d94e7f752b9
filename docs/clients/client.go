// A client of Polygraph in Go: registers of a service that speaks lines of JSON over TCP.
// The protocol is told in docs/client-protocol.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"
)

type object = map[string]any

var (
	address string
	timeout time.Duration
	conn    net.Conn
	answers *bufio.Reader
)

func connect() error {
	made, err := net.DialTimeout("tcp", address, timeout)
	if err == nil {
		conn, answers = made, bufio.NewReader(made)
	}
	return err
}

// ask sends the request once. It is "fail" where nothing was sent, and doubt (which is "fail" for
// what only reads) where no whole answer came in time; the connection is dropped then.
func ask(request object, doubt string) object {
	if conn == nil {
		if err := connect(); err != nil {
			return object{"type": "fail", "error": err.Error()}
		}
	}
	conn.SetDeadline(time.Now().Add(timeout))
	line, _ := json.Marshal(request)
	_, err := conn.Write(append(line, '\n'))
	var text []byte
	if err == nil {
		text, err = answers.ReadBytes('\n')
	}
	var answer object
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err == nil && answer["error"] != nil {
		err = fmt.Errorf("%v", answer["error"])
	}
	if err != nil {
		conn.Close()
		conn = nil
		return object{"type": doubt, "error": err.Error()}
	}
	return object{"type": "ok", "value": answer["value"]}
}

func answer(asked object) object {
	key := fmt.Sprint(asked["key"])
	switch asked["call"] {
	case "abilities":
		return object{"type": "ok", "value": []string{"Registers"}}
	case "open":
		address = asked["address"].(string)
		seconds, _ := asked["op_timeout_s"].(json.Number).Float64()
		timeout = time.Duration(seconds * 0.8 * float64(time.Second)) // before its time is over
		if err := connect(); err != nil {
			return object{"type": "fail", "error": err.Error()}
		}
		return object{"type": "ok"}
	case "read":
		return ask(object{"f": "get", "key": key}, "fail")
	case "write":
		return ask(object{"f": "put", "key": key, "value": asked["value"]}, "info")
	case "compare_and_set":
		return ask(object{"f": "cas", "key": key, "old": asked["old"], "new": asked["new"]}, "info")
	}
	return object{"type": "fail", "error": "no such call"}
}

func main() {
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber() // a number stays as it was written
	encoder := json.NewEncoder(os.Stdout)
	for {
		var asked object
		if decoder.Decode(&asked) != nil {
			return
		}
		said := answer(asked)
		said["id"] = asked["id"]
		encoder.Encode(said)
	}
}

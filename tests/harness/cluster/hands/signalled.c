/* A thread that asks for the time is signalled until a signal meets it right behind a system call
 * within the vDSO, that is within our routine. Its alternate stack lies just above its stack, as in
 * Go. Then 'c' is written, and the thread waits to be told:
 *
 *     was      the handler has returned, and its frame remains
 *     own      it waits in the handler, on the alternate stack
 *     same     it waits in the handler, on its only stack
 *     nested   it waits in a handler on the alternate stack, which interrupted one on the other
 *
 * Told, it asks for the time once more and writes 'w'.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK = 1 << 14, ALTERNATE = 1 << 14 };

static volatile int caught;
static const char *how;
static char *memory;

static void wait_to_be_told(void) {
    char told;
    write(1, "c", 1);
    while (read(0, &told, 1) != 1) {
    }
}

static void inner(int number) {
    (void)number;
    wait_to_be_told();
}

static void outer(int number, siginfo_t *info, void *context) {
    unsigned char *place = (void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    unsigned char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    (void)number, (void)info;
    if (caught || place < vdso + 2 || place >= vdso + (1 << 14)) return;
    if (place[-2] != 0x0f || place[-1] != 0x05) return;
    caught = 1;
    if (!strcmp(how, "nested")) raise(SIGUSR2);
    else if (strcmp(how, "was")) wait_to_be_told();
}

static void *run(void *nothing) {
    struct timespec now;
    stack_t alternate = {.ss_sp = memory + STACK, .ss_size = ALTERNATE};
    sigset_t urgent;
    if (strcmp(how, "same")) sigaltstack(&alternate, 0);
    sigemptyset(&urgent);
    sigaddset(&urgent, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &urgent, 0);
    while (!caught) clock_gettime(CLOCK_REALTIME, &now);
    if (!strcmp(how, "was")) wait_to_be_told();
    clock_gettime(CLOCK_REALTIME, &now);
    return nothing;
}

int main(int count, char **arguments) {
    char told;
    pthread_t thread;
    pthread_attr_t attributes;
    int flags = SA_SIGINFO | SA_RESTART;
    how = count > 1 ? arguments[1] : "was";
    if (!strcmp(how, "was") || !strcmp(how, "own")) flags |= SA_ONSTACK;
    sigaction(SIGURG, &(struct sigaction){.sa_sigaction = outer, .sa_flags = flags}, 0);
    sigaction(SIGUSR2, &(struct sigaction){.sa_handler = inner, .sa_flags = SA_ONSTACK}, 0);
    memory = mmap(0, STACK + ALTERNATE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory, STACK);
    read(0, &told, 1);
    pthread_create(&thread, &attributes, run, 0);
    while (!caught) {
        pthread_kill(thread, SIGURG);
        usleep(300);
    }
    pthread_join(thread, 0);
    write(1, "w", 1);
    read(0, &told, 1);
    return 0;
}

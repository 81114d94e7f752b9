# The routines that take the place of three functions of a process's private vDSO, so that the
# process reads another wall clock than the kernel's. x86-64, position independent, no stack
# beyond a few words (Go calls the vDSO on a small one); only registers that the C convention
# lets a callee change are changed.
#
# The clock that the process reads, all in nanoseconds, t the true time:
#
#     t + shift + (t - base) * rate / 2^32 + (delta where (t - base) / period is odd)
#
# so a bump, a drift and a strobe need no visit once they are set, every process and every fork
# of a node computes the same clock, and a child inherits it. The words at the end are set while
# every thread stands still. vdso.py beside it holds the same bytes as a table, and a test
# assembles this file and compares:
#
#     as vdso_clock.s -o clock.o && objcopy -O binary -j .text clock.o clock.bin

.intel_syntax noprefix
.text

# int clock_gettime(clockid_t edi, struct timespec *rsi)
clock_gettime:
        mov     eax, 228                # the kernel's own answer first, errors included
        syscall
        test    eax, eax
        jnz     1f
        cmp     edi, 63
        ja      1f
        mov     rcx, [rip + mask]
        bt      rcx, rdi                # is this one of the clocks that lie?
        jnc     1f
        imul    rax, [rsi], 1000000000
        add     rax, [rsi + 8]
        call    skewed
        mov     [rsi], rax
        mov     [rsi + 8], rdx
        xor     eax, eax
1:      ret

# int gettimeofday(struct timeval *rdi, struct timezone *rsi)
.balign 16
gettimeofday:
        mov     eax, 96
        syscall
        test    eax, eax
        jnz     1f
        test    rdi, rdi                # only the time zone was asked for
        jz      1f
        imul    rcx, [rdi + 8], 1000
        imul    rax, [rdi], 1000000000
        add     rax, rcx
        call    skewed
        mov     [rdi], rax
        mov     eax, edx
        xor     edx, edx
        mov     ecx, 1000
        div     ecx
        mov     [rdi + 8], rax
        xor     eax, eax
1:      ret

# time_t time(time_t *rdi). The true time is read with its nanoseconds: the second must turn
# when the skewed clock's does.
.balign 16
time:
        mov     r10, rdi
        sub     rsp, 16
        mov     eax, 228
        mov     edi, 5                  # CLOCK_REALTIME_COARSE, as the kernel's own time()
        mov     rsi, rsp
        syscall
        imul    rax, [rsp], 1000000000
        add     rax, [rsp + 8]
        add     rsp, 16
        call    skewed
        test    r10, r10
        jz      1f
        mov     [r10], rax
1:      ret

# True nanoseconds in rax; skewed seconds out in rax, nanoseconds of the second in rdx.
# Changes rcx, r8 and r9 besides.
.balign 16
skewed:
        mov     r9, rax
        mov     r8, rax
        sub     r8, [rip + base]
        add     r9, [rip + shift]
        mov     rax, r8
        imul    qword ptr [rip + rate]
        shrd    rax, rdx, 32
        add     r9, rax
        mov     rcx, [rip + period]
        test    rcx, rcx
        jz      1f
        mov     rax, r8
        cqo
        idiv    rcx
        test    al, 1
        jz      1f
        add     r9, [rip + delta]
1:      mov     rax, r9
        xor     edx, edx
        mov     ecx, 1000000000
        div     rcx
        ret

.balign 16
base:   .quad 0
shift:  .quad 0
rate:   .quad 0
period: .quad 0
delta:  .quad 0
mask:   .quad 0
magic:  .ascii "PGCLOCK1"

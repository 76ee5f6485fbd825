# Entry stub of compiled code, and the way back on a trap (engine/native/entry.h).
# The activation record is {outer, store}; it lies kActivationBelowFrame = 64 bytes below the frame pointer.
#ifndef __x86_64__
#error "the JIT's entry stub exists for x86-64 only"
#endif
#define ACTIVATION 88  /* offsetof(StoreContext, activation) */

    .text
    .globl tenon_jit_enter
    .hidden tenon_jit_enter
    .type tenon_jit_enter, @function
    .p2align 4
tenon_jit_enter:                    # (rdi self, rsi slots, rdx inner, rcx store)
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $24, %rsp                  # rsp = rbp - 64, 16-aligned: the activation
    movq ACTIVATION(%rcx), %rax
    movq %rax, (%rsp)
    movq %rcx, 8(%rsp)
    movq %rsp, ACTIVATION(%rcx)
    callq *%rdx
    .globl tenon_jit_enter_return
    .hidden tenon_jit_enter_return
tenon_jit_enter_return:
    xorl %eax, %eax
.Lleave:                            # eax = status, rsp = the activation
    movq (%rsp), %rdx
    movq 8(%rsp), %rcx
    movq %rdx, ACTIVATION(%rcx)
    addq $24, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    .cfi_def_cfa %rsp, 8
    retq
    .cfi_endproc
    .size tenon_jit_enter, . - tenon_jit_enter

    .globl tenon_jit_leave
    .hidden tenon_jit_leave
    .type tenon_jit_leave, @function
    .p2align 4
tenon_jit_leave:                    # (rdi store, esi status)
    movl %esi, %eax
    movq ACTIVATION(%rdi), %rsp
    jmp .Lleave
    .size tenon_jit_leave, . - tenon_jit_leave

# tenon_jit_throw, tenon_jit_rethrow, tenon_jit_reraise (engine/native/unwind.h): the registers as the calling
# frame has them go into a CallerState; its function gives the landing pad, and the registers of that frame.
    .macro UNWINDING name, find
    .globl \name
    .hidden \name
    .type \name, @function
    .p2align 4
\name:
    pushq %rbp
    movq %rsp, %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movq %rsp, %rdx
    callq \find
    movq 8(%rsp), %r15
    movq 16(%rsp), %r14
    movq 24(%rsp), %r13
    movq 32(%rsp), %r12
    movq 40(%rsp), %rbx
    movq 48(%rsp), %rbp
    movq (%rsp), %rsp
    jmpq *%rax
    .size \name, . - \name
    .endm

    UNWINDING tenon_jit_throw, tenon_jit_find_handler
    UNWINDING tenon_jit_rethrow, tenon_jit_find_next_handler
    UNWINDING tenon_jit_reraise, tenon_jit_find_handler_of_status

    .section .note.GNU-stack,"",@progbits

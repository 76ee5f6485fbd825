;; One comparison of the frame pointer with the limit.
;; RUN: levels=2 cpu=x86-64-v3
(module
  (func $g (loop))  ;; not inlined
  ;; ASM-LABEL: f1:
  ;; ASM: cmpq {{.*}}, %rbp
  ;; ASM-NEXT: jb
  ;; ASM-NOT: cmp
  ;; ASM: call
  ;; ASM-NOT: cmp
  ;; ASM: ret
  (func (export "f") (call $g)))

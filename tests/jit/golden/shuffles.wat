;; Shuffles become the processor's own instructions where it has them.
;; RUN: levels=2,3 cpu=x86-64-v3
(module
  ;; ASM-LABEL: f0:
  ;; ASM: vpunpcklbw
  ;; ASM-NOT: vpshufb
  ;; ASM: ret
  (func (export "interleave") (param v128 v128) (result v128)
    (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get 0) (local.get 1)))
  ;; ASM-LABEL: f1:
  ;; ASM: {{vpshufd|vshufps|vpermilps}}
  ;; ASM-NOT: vpshufb
  ;; ASM: ret
  (func (export "reverse_words") (param v128) (result v128)
    (i8x16.shuffle 12 13 14 15 8 9 10 11 4 5 6 7 0 1 2 3 (local.get 0) (local.get 0)))
  ;; ASM-LABEL: f2:
  ;; ASM: vpalignr
  ;; ASM-NOT: vpshufb
  ;; ASM: ret
  (func (export "concatenate") (param v128 v128) (result v128)
    (i8x16.shuffle 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 (local.get 0) (local.get 1)))
  ;; ASM-LABEL: f3:
  ;; ASM: {{vpblend|vblend}}
  ;; ASM-NOT: vpshufb
  ;; ASM: ret
  (func (export "blend") (param v128 v128) (result v128)
    (i8x16.shuffle 0 1 2 3 20 21 22 23 8 9 10 11 28 29 30 31 (local.get 0) (local.get 1)))
  ;; ASM-LABEL: f4:
  ;; ASM: vpshufb
  ;; ASM: ret
  (func (export "reverse_bytes") (param v128) (result v128)
    (i8x16.shuffle 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0 (local.get 0) (local.get 0)))
  ;; ASM-LABEL: f5:
  ;; ASM: {{vpbroadcast|vbroadcast|vpshufd|vshufps|vpermil}}
  ;; ASM: ret
  (func (export "broadcast") (param v128) (result v128)
    (i8x16.shuffle 0 1 2 3 0 1 2 3 0 1 2 3 0 1 2 3 (local.get 0) (local.get 0))))

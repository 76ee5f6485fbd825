;; Memory64: the checks of a hot loop become one range test in front of it, and the loop is vectorised.
;; RUN: levels=2,3
(module (memory i64 2)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: load <{{[0-9]+}} x i32>, ptr
  ;; IR: add <{{[0-9]+}} x i32>
  ;; IR: store <{{[0-9]+}} x i32>
  (func (export "add") (param $a i64) (param $b i64) (param $n i32)
    (loop $l
      (i32.store (local.get $a) (i32.add (i32.load (local.get $a)) (i32.load (local.get $b))))
      (local.set $a (i64.add (local.get $a) (i64.const 4)))
      (local.set $b (i64.add (local.get $b) (i64.const 4)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))

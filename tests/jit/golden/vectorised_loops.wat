;; A hot loop over linear memory is vectorised behind one range test.
;; RUN: levels=2,3
(module (memory 2)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: load <{{[0-9]+}} x i32>, ptr
  ;; IR: add <{{[0-9]+}} x i32>
  ;; IR: store <{{[0-9]+}} x i32>
  (func (export "add") (param $a i32) (param $b i32) (param $n i32)
    (loop $l
      (i32.store (local.get $a) (i32.add (i32.load (local.get $a)) (i32.load (local.get $b))))
      (local.set $a (i32.add (local.get $a) (i32.const 4)))
      (local.set $b (i32.add (local.get $b) (i32.const 4)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))

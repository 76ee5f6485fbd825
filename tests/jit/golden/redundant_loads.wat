;; What is loaded twice with nothing between is loaded once.
;; RUN: levels=1,2,3
(module (memory 1)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: load i32, ptr
  ;; IR-NOT: load i32
  ;; IR: mul i32
  (func (export "f") (param i32) (result i32)
    (i32.mul (i32.load (local.get 0)) (i32.load (local.get 0)))))

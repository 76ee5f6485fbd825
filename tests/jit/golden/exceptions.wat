;; A try costs nothing: its calls have an unwind edge. Tail calls leave the handler.
;; RUN: levels=1,2,3
(module
  (tag $e (param i32))
  (func $g (param i32) (if (local.get 0) (then (throw $e (local.get 0)))))
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR: invoke void
  ;; IR-NEXT: to label {{.*}} unwind label
  ;; IR-NOT: store
  ;; IR: landingpad { ptr, i32 }
  ;; IR-NEXT: cleanup
  (func (export "f") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $e $h) (call $g (local.get 0))) (i32.const 0)))
  ;; IR-LABEL: define {{.*}} @f2(
  ;; IR-NOT: landingpad
  ;; IR: musttail call
  (func (export "tail") (param i32)
    (block $h (try_table (catch_all $h) (return_call $g (local.get 0)))))
  ;; A throw inside its try is a jump.
  ;; IR-LABEL: define {{.*}} @f3(
  ;; IR-NOT: invoke
  ;; IR-NOT: landingpad
  ;; IR: ret i32
  (func (export "inside") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $e $h) (throw $e (local.get 0))) (i32.const 0))))

;; Asks a model that the host has registered as "digits" what is in the picture at 4096: 8 × 8 numbers in f32.
(module
  (import "wasi_ephemeral_nn" "load_by_name" (func $load_by_name (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set_input (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "get_output" (func $get_output (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "digits")
  (data (i32.const 16) "\01\00\00\00\01\00\00\00\08\00\00\00\08\00\00\00")  ;; the shape: 1 1 8 8
  ;; A tensor: shape and its length, type (f32 is 1), data and its length.
  (data (i32.const 32) "\10\00\00\00\04\00\00\00\01\00\00\00\00\10\00\00\00\01\00\00")

  (func $must (param $error i32) (if (local.get $error) (then (unreachable))))

  ;; The graph's handle goes to 64, the context's to 68, the ten scores to 8192.
  (func (export "classify") (result i32) (local $i i32) (local $best i32)
    (call $must (call $load_by_name (i32.const 0) (i32.const 6) (i32.const 64)))
    (call $must (call $init (i32.load (i32.const 64)) (i32.const 68)))
    (call $must (call $set_input (i32.load (i32.const 68)) (i32.const 0) (i32.const 32)))
    (call $must (call $compute (i32.load (i32.const 68))))
    (call $must
      (call $get_output (i32.load (i32.const 68)) (i32.const 0) (i32.const 8192) (i32.const 40) (i32.const 72)))
    (loop $next
      (if (f32.gt (f32.load offset=8192 (i32.shl (local.get $i) (i32.const 2)))
                  (f32.load offset=8192 (i32.shl (local.get $best) (i32.const 2))))
        (then (local.set $best (local.get $i))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
    (local.get $best)))

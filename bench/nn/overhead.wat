;; Loops over wasi-nn's calls; bench/nn/overhead_bench.cpp measures them. At 0: the tensor record, at 32 its one dimension,
;; at 64 what load_by_name and get_output store, at 128 the model's name "m". The input lies at 1 MiB, the output at 3 MiB.
(module
  (import "wasi_ephemeral_nn" "load_by_name" (func $load_by_name (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set_input (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "get_output" (func $get_output (param i32 i32 i32 i32 i32) (result i32)))
  (import "tenon_nn" "bind_input" (func $bind_input (param i32 i32 i32 i32) (result i32)))
  (import "tenon_nn" "bind_output" (func $bind_output (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 96)
  (data (i32.const 128) "m")
  (global $context (mut i32) (i32.const 0))
  (global $bytes (mut i32) (i32.const 0))

  ;; Loads the model, whose input has this many floats, and binds nothing. Gives the first error.
  (func (export "open") (param $count i32) (result i32)
    (local $error i32)
    (global.set $bytes (i32.mul (local.get $count) (i32.const 4)))
    (i32.store (i32.const 0) (i32.const 32))
    (i32.store (i32.const 4) (i32.const 1))
    (i32.store8 (i32.const 8) (i32.const 1))
    (i32.store (i32.const 12) (i32.const 0x100000))
    (i32.store (i32.const 16) (global.get $bytes))
    (i32.store (i32.const 32) (local.get $count))
    (if (local.tee $error (call $load_by_name (i32.const 128) (i32.const 1) (i32.const 64)))
      (then (return (local.get $error))))
    (if (local.tee $error (call $init (i32.load (i32.const 64)) (i32.const 64)))
      (then (return (local.get $error))))
    (global.set $context (i32.load (i32.const 64)))
    (i32.const 0))

  (func (export "bind") (result i32)
    (i32.or (call $bind_input (global.get $context) (i32.const 0) (i32.const 0x100000) (global.get $bytes))
            (call $bind_output (global.get $context) (i32.const 0) (i32.const 0x300000) (global.get $bytes))))

  ;; n times set_input, compute and get_output; the errors, or-ed.
  (func (export "plain") (param $n i32) (result i32)
    (local $error i32)
    (loop $again
      (local.set $error (i32.or (local.get $error)
        (call $set_input (global.get $context) (i32.const 0) (i32.const 0))))
      (local.set $error (i32.or (local.get $error) (call $compute (global.get $context))))
      (local.set $error (i32.or (local.get $error)
        (call $get_output (global.get $context) (i32.const 0) (i32.const 0x300000) (global.get $bytes) (i32.const 64))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $error))

  ;; n times compute alone.
  (func (export "bound") (param $n i32) (result i32)
    (local $error i32)
    (loop $again
      (local.set $error (i32.or (local.get $error) (call $compute (global.get $context))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $error))

  ;; n copies of the tensor, as a measure.
  (func (export "copy") (param $n i32)
    (loop $again
      (memory.copy (i32.const 0x300000) (i32.const 0x100000) (global.get $bytes))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))

;; wasi-nn in a program with threads (wasi-threads): four threads compute in contexts of their own in a shared memory, each
;; must get what one thread alone gets; then a thread changes a tensor's record while another one passes it.
;; args: digits
;; host: --nn-graph digits="$root/examples/digits/digits.onnx"
;; expect: every thread got its own results
;; expect: calls with a changing record were answered
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $open (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set_input (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "get_output" (func $get_output (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (export "memory" (memory 0))
  ;; 0: threads that are done; 4: failures; 8: the graph; 12: stop; 16: the scribbler runs. Slot n, 1024 bytes from 4096 on:
  ;; context, written, record (8), dims (32), data (64), output (512), expected output (576).
  (data (i32.const 1024) "digits")
  (data (i32.const 1040) "every thread got its own results\n")
  (data (i32.const 1104) "calls with a changing record were answered\n")

  (func $slot (param $n i32) (result i32)
    (i32.add (i32.const 4096) (i32.mul (local.get $n) (i32.const 1024))))

  ;; Ends the program with `code` unless `ok`.
  (func $must (param $ok i32) (param $code i32)
    (if (i32.eqz (local.get $ok)) (then (call $exit (local.get $code)))))

  (func $print (param $at i32) (param $size i32)
    (i32.store (i32.const 2048) (local.get $at))
    (i32.store (i32.const 2052) (local.get $size))
    (drop (call $fd_write (i32.const 1) (i32.const 2048) (i32.const 1) (i32.const 2056))))

  ;; The record of slot n: f32 [1, 1, 8, 8] at its data.
  (func $write_record (param $at i32)
    (i32.store offset=8 (local.get $at) (i32.add (local.get $at) (i32.const 32)))
    (i32.store offset=12 (local.get $at) (i32.const 4))
    (i32.store offset=16 (local.get $at) (i32.const 1))
    (i32.store offset=20 (local.get $at) (i32.add (local.get $at) (i32.const 64)))
    (i32.store offset=24 (local.get $at) (i32.const 256))
    (i32.store offset=32 (local.get $at) (i32.const 1))
    (i32.store offset=36 (local.get $at) (i32.const 1))
    (i32.store offset=40 (local.get $at) (i32.const 8))
    (i32.store offset=44 (local.get $at) (i32.const 8)))

  ;; A picture that depends on the slot: element i is (i * (n + 2) mod 16) / 16.
  (func $draw (param $n i32) (local $at i32) (local $i i32)
    (local.set $at (i32.add (call $slot (local.get $n)) (i32.const 64)))
    (loop $next
      (f32.store (i32.add (local.get $at) (i32.shl (local.get $i) (i32.const 2)))
        (f32.div
          (f32.convert_i32_u
            (i32.and (i32.mul (local.get $i) (i32.add (local.get $n) (i32.const 2))) (i32.const 15)))
          (f32.const 16)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 64)))))

  ;; One inference in slot n's context, with the output at `out`; the data is wiped once it is set.
  (func $infer (param $n i32) (param $out i32) (result i32) (local $at i32)
    (local.set $at (call $slot (local.get $n)))
    (call $draw (local.get $n))
    (if (call $set_input (i32.load (local.get $at)) (i32.const 0) (i32.add (local.get $at) (i32.const 8)))
      (then (return (i32.const 0))))
    (memory.fill (i32.add (local.get $at) (i32.const 64)) (i32.const 0xff) (i32.const 256))
    (if (call $compute (i32.load (local.get $at))) (then (return (i32.const 0))))
    (if (call $get_output (i32.load (local.get $at)) (i32.const 0) (local.get $out) (i32.const 40)
          (i32.add (local.get $at) (i32.const 4)))
      (then (return (i32.const 0))))
    (i32.eq (i32.load offset=4 (local.get $at)) (i32.const 40)))

  (func $same (param $a i32) (param $b i32) (result i32) (local $i i32)
    (loop $next
      (if (i32.ne (i32.load (i32.add (local.get $a) (local.get $i)))
                  (i32.load (i32.add (local.get $b) (local.get $i))))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 40))))
    (i32.const 1))

  (func $worker (param $n i32) (local $round i32) (local $at i32)
    (local.set $at (call $slot (local.get $n)))
    (loop $again
      (if (i32.eqz
            (if (result i32) (call $infer (local.get $n) (i32.add (local.get $at) (i32.const 512)))
              (then (call $same (i32.add (local.get $at) (i32.const 512)) (i32.add (local.get $at) (i32.const 576))))
              (else (i32.const 0))))
        (then (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 100)))))

  ;; Dimensions, rank, pointers and lengths of slot 0 change until it is told to stop.
  (func $scribble (local $at i32) (local $seed i32)
    (local.set $at (call $slot (i32.const 0)))
    (i32.atomic.store (i32.const 16) (i32.const 1))
    (loop $again
      (local.set $seed (i32.add (i32.mul (local.get $seed) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store
        (i32.add (i32.add (local.get $at) (i32.const 8))
                 (i32.and (i32.shr_u (local.get $seed) (i32.const 20)) (i32.const 0x3c)))
        (i32.shr_s (local.get $seed) (i32.and (local.get $seed) (i32.const 31))))
      (if (i32.eqz (i32.and (local.get $seed) (i32.const 0x3000))) (then (call $write_record (local.get $at))))
      (br_if $again (i32.eqz (i32.atomic.load (i32.const 12))))))

  (func (export "wasi_thread_start") (param $id i32) (param $n i32)
    (if (local.get $n) (then (call $worker (local.get $n))) (else (call $scribble)))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))

  (func $await (param $count i32) (local $now i32)
    (loop $again
      (local.set $now (i32.atomic.load (i32.const 0)))
      (if (i32.lt_u (local.get $now) (local.get $count))
        (then
          (drop (memory.atomic.wait32 (i32.const 0) (local.get $now) (i64.const -1)))
          (br $again)))))

  (func (export "_start") (local $n i32) (local $at i32) (local $calls i32)
    (call $must (i32.eqz (call $load (i32.const 1024) (i32.const 6) (i32.const 8))) (i32.const 2))
    (loop $next
      (local.set $at (call $slot (local.get $n)))
      (call $must (i32.eqz (call $open (i32.load (i32.const 8)) (local.get $at))) (i32.const 3))
      (call $write_record (local.get $at))
      (call $must (call $infer (local.get $n) (i32.add (local.get $at) (i32.const 576))) (i32.const 4))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $n) (i32.const 4))))
    (local.set $n (i32.const 1))
    (loop $start
      (call $must (i32.gt_s (call $spawn (local.get $n)) (i32.const 0)) (i32.const 5))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $start (i32.le_u (local.get $n) (i32.const 4))))
    (call $await (i32.const 4))
    (call $must (i32.eqz (i32.load (i32.const 4))) (i32.const 6))
    (call $print (i32.const 1040) (i32.const 33))

    (call $must (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)) (i32.const 7))
    (loop $until_it_runs (br_if $until_it_runs (i32.eqz (i32.atomic.load (i32.const 16)))))
    (local.set $at (call $slot (i32.const 0)))
    (loop $again  ;; any answer is right but one that the interface does not have
      (call $must
        (i32.le_u (call $set_input (i32.load (local.get $at)) (i32.const 0) (i32.add (local.get $at) (i32.const 8)))
                  (i32.const 8))
        (i32.const 8))
      (local.set $calls (i32.add (local.get $calls) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $calls) (i32.const 20000))))
    (i32.atomic.store (i32.const 12) (i32.const 1))
    (call $await (i32.const 5))
    (call $print (i32.const 1104) (i32.const 43))))

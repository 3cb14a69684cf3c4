;; An app that misbehaves. The request's path says how:
;;   /spin   computes for ever
;;   /grow   takes all the memory it can get, then computes for ever
;;   /trap   traps
;;   /status answers with 7, which is not a valid status
;; Any other path is answered with 200 and a digit that says how the request's body arrived:
;; 0 complete, 1 too large, 2 incomplete.
(component
  (component $Service
    (type $header' (record (field "name" string) (field "value" (list u8))))
    (export $header "header" (type $header'))
    (type $body' (variant (case "complete" (list u8)) (case "too-large") (case "incomplete")))
    (export $body "body" (type $body'))
    (type $request' (record
      (field "method" string) (field "path" string) (field "query" (option string))
      (field "authority" (option string)) (field "client" (option string))
      (field "headers" (list $header)) (field "body" $body)))
    (export $request "request" (type $request'))
    (type $response' (record (field "status" u16) (field "headers" (list $header)) (field "body" (list u8))))
    (export $response "response" (type $response'))

    (core module $code
      (memory (export "memory") 4)
      (global $free (mut i32) (i32.const 4096))

      ;; Memory is freed when the request ends.
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $start i32)
        (local.set $start (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $start) (local.get 3)))
        (local.get $start))

      ;; The request is in memory: the address of its path at 8, how its body arrived at 60.
      (func (export "handle") (param $request i32) (result i32)
        (local $letter i32)
        (local.set $letter (i32.load8_u offset=1 (i32.load offset=8 (local.get $request))))
        (global.set $free (i32.const 4096))
        (if (i32.eq (local.get $letter) (i32.const 0x74)) (then unreachable))
        (if (i32.eq (local.get $letter) (i32.const 0x67)) (then
          (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
          (loop $forever (br $forever))))
        (if (i32.eq (local.get $letter) (i32.const 0x73)) (then
          (if (i32.eq (i32.load8_u offset=2 (i32.load offset=8 (local.get $request))) (i32.const 0x70)) (then
            (loop $forever (br $forever))))))
        ;; The response at 16: status, then address and length of the headers and of the body.
        (i32.store16 (i32.const 16)
          (select (i32.const 7) (i32.const 200) (i32.eq (local.get $letter) (i32.const 0x73))))
        (i32.store (i32.const 20) (i32.const 0))
        (i32.store (i32.const 24) (i32.const 0))
        (i32.store (i32.const 28) (i32.const 64))
        (i32.store (i32.const 32) (i32.const 1))
        (i32.store8 (i32.const 64) (i32.add (i32.const 0x30) (i32.load8_u offset=60 (local.get $request))))
        (i32.const 16)))

    (core instance $core (instantiate $code))
    (func $handle (param "request" $request) (result $response)
      (canon lift (core func $core "handle") (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
    (export "handle" (func $handle)))

  (instance $service (instantiate $Service))
  (export "countersign:license/service@0.1.0" (instance $service)))

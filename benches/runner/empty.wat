;; The least that any computing component has: code, one page of memory, and a function. This one
;; does nothing.
(component
  (core module $module (memory (export "memory") 1) (func (export "run")))
  (core instance $instance (instantiate $module))
  (func (export "run") (canon lift (core func $instance "run"))))

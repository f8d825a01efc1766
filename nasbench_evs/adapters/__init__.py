"""Other people's frameworks on our spaces and benchmarks, one module each; importing a module needs that framework."""

"""PostgreSQL behind the ports: hand-written SQL, one module per noun."""

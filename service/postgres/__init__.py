"""PostgreSQL: connections, the embedded server, migrations. It knows no table of the service."""

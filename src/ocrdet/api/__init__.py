"""The only floor that knows HTTP and JSON; `app.create_app` puts it together."""

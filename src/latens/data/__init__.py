"""From what users hand over to arrays with one leading axis of rows."""

"""A fit as text, as a record for JSON, as a progress line. No computation here."""

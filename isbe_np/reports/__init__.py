"""Results as text. A study returns data; what a person reads of it is written here."""

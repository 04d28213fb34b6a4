"""Files that are whole or not there: archives, locks, folders, and JSON."""

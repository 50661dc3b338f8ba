"""The page: what a group does, seen in a browser from outside its workers, and nothing that changes it."""

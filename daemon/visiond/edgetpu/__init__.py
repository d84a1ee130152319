"""The Coral USB stick seen from outside: where it is, who has it, how its library is called. Standard library only."""

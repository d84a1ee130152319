"""`visiond doctor`: what is wrong with this installation, why, and what to do about it."""

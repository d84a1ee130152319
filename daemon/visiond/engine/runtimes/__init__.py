"""The runtimes that can stand behind an Interpreter; each is imported only when it is taken."""

## Unit tests of cli/: one program for each source file; add it to check_PROGRAMS.

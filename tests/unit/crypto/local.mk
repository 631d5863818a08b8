## Unit tests of crypto/: one program for each source file; add it to check_PROGRAMS.

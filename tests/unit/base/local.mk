## Unit tests of base/: one program for each source file; add it to check_PROGRAMS.

## Unit tests of milter/: one program for each source file; add it to check_PROGRAMS.

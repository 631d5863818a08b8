## Unit tests of policy/: one program for each source file; add it to check_PROGRAMS.

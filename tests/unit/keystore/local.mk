## Unit tests of keystore/: one program for each source file; add it to check_PROGRAMS.

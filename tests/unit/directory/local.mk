## Unit tests of directory/: one program for each source file; add it to check_PROGRAMS.

## Unit tests of message/: one program for each source file; add it to check_PROGRAMS.

## A command is a file with a struct command in it, a line in commands.def and a line here.
EXTRA_PROGRAMS += sealgate
sealgate_SOURCES = \
	cli/cmd.c cli/cmd.h cli/commands.def cli/main.c \
	cli/check.c
sealgate_LDADD = $(SG_LIBS_PIPELINE)

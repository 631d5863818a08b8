## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of cli/: one program for each source file; add it to check_PROGRAMS.
check_SCRIPTS += tests/unit/cli/cli_test.sh

## SPDX-License-Identifier: BSD-2-Clause
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/rc.h base/errors.def base/counters.def base/options.def \
	base/buf.c base/buf.h \
	base/clock.c base/clock.h \
	base/conf.c base/conf_format.c base/conf_get.c base/conf_options.c base/conf.h base/conf_table.h \
	base/counter.c base/counter.h \
	base/err.c base/err.h \
	base/file.c base/file.h \
	base/json.c base/json_parse.c base/json.h \
	base/log.c base/log.h \
	base/network.c base/network.h \
	base/tar.c base/tar.h base/sandbox.c base/sandbox.h \
	base/secret.c base/secret.h \
	base/sink.c base/sink.h \
	base/startup.c base/startup.h \
	base/strmap.c base/strmap.h \
	base/text.c base/text.h

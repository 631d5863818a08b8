/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * web.h - a small HTTP server for tests, which behaves badly when it is asked to
 *
 * On 127.0.0.1, any port, a thread for each connection. The first word of a path says how:
 *   /file/NAME       what DIR/NAME holds, with ETag and Last-Modified, and 304
 *   /chunked/NAME    the same in chunks, without a length
 *   /drip/NAME       the same, a byte at a time
 *   /gzip/NAME       the same, called gzip
 *   /status/N        an answer N without a body
 *   /retry/N         429 with Retry-After: N
 *   /loop            302 to itself
 *   /to/URL          302 to URL
 *   /huge            a body without an end      /headers   a header without an end
 *   /length          a length of 99999999999    /silent    nothing at all
 *   /half/NAME       half of what was announced
 * Each request is a line in DIR/requests: METHOD PATH, and "conditional" where it was.
 */
#ifndef TESTS_FLOW_WEB_H
#define TESTS_FLOW_WEB_H

/* Begins to serve; the port, or 0. PORT 0: any. One server a process. */
unsigned web_start(const char *dir, unsigned port);
/* No more connections are taken, those there are are broken. */
void web_stop(void);

#endif

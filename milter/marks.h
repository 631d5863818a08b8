/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * marks.h - header fields of our own; OPENED_MARK is in message/classify.h
 */
#ifndef MILTER_MARKS_H
#define MILTER_MARKS_H

#define LOOP_MARK   "X-Sealgate-Loop"   /* see trace.h */
#define NOTICE_MARK "X-Sealgate-Notice" /* what a rule's "mark" says to the reader */

#endif

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A hundred thousand simulated messages with faults at every step; see tests/unit/milter/delivery_prop.c.
prop=${SEALGATE_BUILD:?}/tests/unit/milter/delivery_prop
[ -x "$prop" ] || { echo "skipped: delivery_prop is not built"; exit 77; }
"$prop" 100000

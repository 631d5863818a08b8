# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# Servers of other people for tests and for the quickstart: slapd, Postfix, Sendmail, a sink for mail. POSIX sh; to be read with ".".
#
# Each server lives in a folder of its own under $SERVERS, on free ports of 127.0.0.1, writes its pid there, and is
# stopped by it. Nothing of the system's own configuration is used or touched. Any number of worlds may run side by side.
#
#   servers_begin [DIR]        makes $SERVERS (DIR, or a new folder under $TMPDIR) and has everything stopped and removed at exit
#   servers_keep               at exit leave everything running and in place
#   slapd_up DIR SUFFIX [LDIF…]      DIR/uri, DIR/ldaps_uri (when DIR/tls/{ca,cert,key}.pem are there), DIR/ldapi_uri
#   slapd_down DIR, slapd_start DIR  the same data again, on the same ports
#   postfix_up DIR [key=value…]      DIR/mx, DIR/submission, DIR/hop, DIR/plain, DIR/reinject, DIR/sink: ports (see below)
#   postfix_ports DIR                the same ports, chosen before it starts
#   postfix_set DIR key=value…       changes main.cf and reloads
#   postfix_down DIR
#   smtp_sink_up DIR PORT            every mail is a file in DIR
#   sendmail_up DIR NEXT_PORT MILTER DIR/port, DIR/reinject: a port without milters; DIR/more.mc: more lines at the end;
#                                    DIR/edit.sed: changes the whole
#   sendmail_logs DIR [--rfc3339]    before sendmail_up: what it says to syslog(3) comes to DIR/maillog; fails where that is not allowed
#   sendmail_down DIR
#   process_up DIR NAME COMMAND…     any other program that stays in the foreground; DIR/NAME.pid, DIR/NAME.log
#   process_down DIR NAME
#   users_up NAME…                   system users, removed with the last world that asked for them
#
# Every …_up returns when the server answers, or fails with its log on standard error.

SERVERS_LIB=${SERVERS_LIB:-${SEALGATE_SRC:?}/tests/lib}
PATH=$PATH:/usr/sbin:/sbin
export PATH

servers_fail() {
	echo "$*" >&2
	return 1
}

# Everything that was started is in $SERVERS/stop, one command to stop it on each line.
servers_begin() {
	if [ $# -gt 0 ]; then
		SERVERS=$1
		mkdir -p "$SERVERS" || return 1
	else
		SERVERS=$(mktemp -d "${TMPDIR:-/tmp}/sealgate-world.XXXXXX") || return 1
	fi
	# Postfix and slapd run as users of their own and have to get to their folders.
	chmod 755 "$SERVERS"
	: >"$SERVERS/stop"
	trap 'servers_end $?' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

servers_keep() {
	SERVERS_KEPT=yes
}

servers_end() {
	trap '' INT TERM HUP
	trap - EXIT
	[ -n "${SERVERS_KEPT:-}" ] || servers_stop
	exit "$1"
}

# Stops what runs, the last first, and removes the folder.
servers_stop() {
	if [ -f "$SERVERS/stop" ]; then
		# The newest first: who depends on another was started after it.
		sed '1!G;h;$!d' "$SERVERS/stop" >"$SERVERS/stop.order"
		while read -r servers_line; do
			eval "$servers_line" </dev/null
		done <"$SERVERS/stop.order"
	fi
	rm -rf "$SERVERS"
}

# servers_remember FUNCTION DIR…: to be called at the end
servers_remember() {
	servers_line=$1
	shift
	for servers_arg in "$@"; do
		servers_line="$servers_line '$servers_arg'"
	done
	grep -qxF "$servers_line" "$SERVERS/stop" || echo "$servers_line" >>"$SERVERS/stop"
}

# free_port [N]: N different ports of 127.0.0.1 that nobody listens on, below the range that the kernel hands out itself
free_port() {
	perl -MIO::Socket::INET -e '
		my ($n, @held) = (shift // 1);
		srand($$ ^ time ^ unpack("L", do { open my $r, "<", "/dev/urandom"; read $r, my $b, 4; $b }));
		for (my $try = 0; @held < $n && $try < 10000; $try++) {
			my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => 10240 + int rand 20000);
			push @held, $s if $s;
		}
		die "no free port\n" if @held < $n;
		print join(" ", map { $_->sockport } @held), "\n"' "${1:-1}"
}

# wait_port PORT [SECONDS]: until somebody listens
wait_port() {
	perl -MIO::Socket::INET -e '
		my ($port, $end) = (shift, time + (shift // 10));
		while (time <= $end) {
			exit 0 if IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port, Timeout => 1);
			select undef, undef, undef, 0.02;
		}
		exit 1' "$@"
}

# wait_for SECONDS COMMAND…: until the command succeeds, tried each 50 ms
wait_for() {
	wait_tries=$(($1 * 20))
	shift
	while ! "$@" >/dev/null 2>&1; do
		wait_tries=$((wait_tries - 1))
		[ "$wait_tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

process_is_gone() {
	[ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

process_is_frozen() {
	for frozen_task in "/proc/$1"/task/*/stat; do
		sed 's/.*) //' "$frozen_task" 2>/dev/null | grep -q '^[TZ]' || return 1
	done
}

# process_freeze PID: SIGSTOP, and back when every thread has really stopped: the signal only asks
process_freeze() {
	kill -STOP "$1" && wait_for 10 process_is_frozen "$1"
}

# stop_pid FILE [SECONDS]: stops the process whose number is in FILE: kindly, and after a while not
stop_pid() {
	[ -s "$1" ] || return 0
	stop_number=$(tr -cd 0-9 <"$1")
	if [ -n "$stop_number" ] && ! process_is_gone "$stop_number"; then
		kill "$stop_number" 2>/dev/null
		kill -CONT "$stop_number" 2>/dev/null
		wait_for "${2:-10}" process_is_gone "$stop_number" || kill -KILL "$stop_number" 2>/dev/null
	fi
	rm -f "$1"
}

# --- any program that stays in the foreground

process_up() {
	process_dir=$1 process_name=$2
	shift 2
	mkdir -p "$process_dir"
	"$@" </dev/null >>"$process_dir/$process_name.log" 2>&1 &
	echo $! >"$process_dir/$process_name.pid"
	servers_remember process_down "$process_dir" "$process_name"
}

process_down() {
	stop_pid "$1/$2.pid"
}

# --- system users, as a package would make them
#
#   users_up NAME…     makes those that are not there; the last world that needs them removes what was made so

users_up() {
	servers_remember users_down "$@"
	(
		flock 9
		mkdir -p /run/sealgate-worlds && echo "$SERVERS" >"/run/sealgate-worlds/${SERVERS##*/}" || exit 1
		for users_name in "$@"; do
			getent passwd "$users_name" >/dev/null ||
				useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
					--comment "sealgate world" "$users_name" || exit 1
		done
	) 9</run
}

users_down() {
	(
		flock 9
		rm -f "/run/sealgate-worlds/${SERVERS##*/}"
		for users_world in /run/sealgate-worlds/*; do
			[ ! -f "$users_world" ] || [ -d "$(cat "$users_world")" ] || rm -f "$users_world"
		done
		rmdir /run/sealgate-worlds 2>/dev/null || exit 0 # another world still needs them
		for users_name in "$@"; do
			case "$(getent passwd "$users_name")" in
			*":sealgate world:"*) userdel "$users_name" ;;
			esac
		done
	) 9</run >/dev/null 2>&1
}

# --- slapd

# slapd_conf DIR SUFFIX: writes DIR/slapd.conf; $SLAPD_GLOBAL and DIR/extra.conf add lines to it
slapd_conf() {
	{
		for slapd_schema in core cosine inetorgperson; do
			echo "include /etc/ldap/schema/$slapd_schema.schema"
		done
		echo "pidfile $1/slapd.pid"
		echo "modulepath /usr/lib/ldap"
		echo "moduleload back_mdb"
		[ -z "${SLAPD_GLOBAL:-}" ] || echo "$SLAPD_GLOBAL"
		if [ -f "$1/tls/key.pem" ]; then
			echo "TLSCACertificateFile $1/tls/ca.pem"
			echo "TLSCertificateFile $1/tls/cert.pem"
			echo "TLSCertificateKeyFile $1/tls/key.pem"
		fi
		echo "database mdb"
		echo "suffix \"$2\""
		echo "rootdn \"cn=admin,$2\""
		echo "rootpw secret"
		echo "directory $1/db"
		echo "maxsize 1073741824"
		echo "dbnosync"
		echo "index objectClass,mail eq"
		[ ! -f "$1/extra.conf" ] || cat "$1/extra.conf"
	} >"$1/slapd.conf"
}

slapd_start() {
	slapd_urls=$(cat "$1/urls") || return 1
	slapd -f "$1/slapd.conf" -h "$slapd_urls" -n "sealgate-test" >>"$1/slapd.log" 2>&1 </dev/null ||
		{ cat "$1/slapd.log" >&2; return 1; }
	wait_for 10 test -s "$1/slapd.pid" || servers_fail "slapd did not start"
	# It is in the background before it listens.
	for slapd_port in $(grep -o '127\.0\.0\.1:[0-9]*' "$1/urls" | cut -d: -f2); do
		wait_port "$slapd_port" || servers_fail "slapd does not listen"
	done
}

slapd_up() {
	slapd_dir=$1 slapd_suffix=$2
	shift 2
	mkdir -p "$slapd_dir/db" || return 1
	slapd_conf "$slapd_dir" "$slapd_suffix"
	for slapd_ldif in "$@"; do
		slapadd -q -f "$slapd_dir/slapd.conf" -l "$slapd_ldif" >>"$slapd_dir/slapd.log" 2>&1 ||
			{ cat "$slapd_dir/slapd.log" >&2; return 1; }
	done
	# shellcheck disable=SC2046
	set -- $(free_port 2)
	echo "ldap://127.0.0.1:$1" >"$slapd_dir/uri"
	echo "ldapi://$(echo "$slapd_dir/ldapi" | sed 's|/|%2F|g')" >"$slapd_dir/ldapi_uri"
	echo "ldap://127.0.0.1:$1/ $(cat "$slapd_dir/ldapi_uri")" >"$slapd_dir/urls"
	if [ -f "$slapd_dir/tls/key.pem" ]; then
		echo "ldaps://127.0.0.1:$2" >"$slapd_dir/ldaps_uri"
		echo "$(cat "$slapd_dir/urls") ldaps://127.0.0.1:$2/" >"$slapd_dir/urls"
	fi
	servers_remember slapd_down "$slapd_dir"
	slapd_start "$slapd_dir"
}

slapd_down() {
	stop_pid "$1/slapd.pid"
}

# --- a sink for mail

smtp_sink_up() {
	mkdir -p "$1"
	process_up "$1" .sink smtp-sink -u root -d "$1/%M." "127.0.0.1:$2" 1000
	wait_port "$2" || servers_fail "smtp-sink did not start"
}

smtp_sink_down() {
	process_down "$1" .sink
}

# --- Postfix
#
# One private instance, enough for both layouts. Ports:
#   mx          where the world comes in; milters: mx_milters; content filter: front_filter
#   submission  staff, with AUTH; milters: submission_milters; content filter: front_filter
#   hop         after the queue; milters: hop_milters, no filter, no address mappings
#   plain       without milters
#   reinject    for copies, as in contrib/postfix: the login "gate@localhost" with the password in DIR/port.password (mode 0400);
#               milters: reinject_milters; aliases are expanded unless reinject_override has no_address_mappings
#   sink        the outside world: a smtp-sink that writes into DIR/sink
# Mail for the domains in DIR/domains (default local.test) and the addresses in DIR/mailboxes goes into Maildirs
# DIR/mail/ADDRESS/new; all the rest goes to the sink. In key=value, @hop@ and the like stand for those ports.

postfix_main_cf() {
	cat <<-E
	compatibility_level = 3.6
	queue_directory = $1/queue
	data_directory = $1/data
	meta_directory = /etc/postfix
	maillog_file = $1/maillog
	maillog_file_prefixes = $1
	myhostname = mx.local.test
	myorigin = local.test
	mydestination =
	mynetworks = 127.0.0.0/8
	inet_interfaces = loopback-only
	inet_protocols = ipv4
	smtp_dns_support_level = disabled
	disable_dns_lookups = yes
	smtpd_peername_lookup = no
	relayhost = [127.0.0.1]:$(cat "$1/sink.port")
	local_recipient_maps =
	alias_maps =
	alias_database =
	virtual_alias_maps =
	virtual_mailbox_domains = $(cat "$1/domains")
	virtual_mailbox_base = $1/mail
	virtual_mailbox_maps = texthash:$1/mailboxes
	virtual_minimum_uid = 1
	virtual_uid_maps = static:$(id -u nobody)
	virtual_gid_maps = static:$(id -g nobody)
	smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
	smtpd_sasl_local_domain =
	biff = no
	minimal_backoff_time = 2s
	maximal_backoff_time = 4s
	queue_run_delay = 2s
	smtpd_milters =
	non_smtpd_milters =
	milter_default_action = tempfail
	milter_protocol = 6
	mx_milters =
	submission_milters =
	hop_milters =
	reinject_milters =
	reinject_override = no_unknown_recipient_checks,no_header_body_checks
	reinject_limit = 1000
	front_filter =
	E
}

postfix_master_cf() {
	cat <<-E
	127.0.0.1:$(cat "$1/mx") inet n - n - - smtpd
	  -o smtpd_milters=\$mx_milters -o content_filter=\$front_filter -o milter_macro_daemon_name=MX
	  -o smtpd_authorized_xclient_hosts=127.0.0.0/8
	127.0.0.1:$(cat "$1/submission") inet n - n - - smtpd
	  -o smtpd_milters=\$submission_milters -o content_filter=\$front_filter -o milter_macro_daemon_name=SUBMISSION
	  -o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
	127.0.0.1:$(cat "$1/hop") inet n - n - - smtpd
	  -o smtpd_milters=\$hop_milters -o content_filter= -o milter_macro_daemon_name=HOP
	  -o receive_override_options=no_address_mappings,no_unknown_recipient_checks
	  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
	127.0.0.1:$(cat "$1/plain") inet n - n - - smtpd
	  -o smtpd_milters= -o content_filter= -o receive_override_options=no_milters,no_unknown_recipient_checks
	  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
	$(awk -v port="$(cat "$1/reinject")" '
		/^127\.0\.0\.1:10027 / { on = 1; sub(/10027/, port) }
		on && !/^127|^ /{ exit }
		on { sub(/smtpd_milters=$/, "smtpd_milters=$reinject_milters"); sub(/smtpd_recipient_limit=.*/, "smtpd_recipient_limit=$reinject_limit")
		     sub(/receive_override_options=.*/, "receive_override_options=$reinject_override"); print }' "$SEALGATE_SRC/contrib/postfix/master.cf")
	hop unix - - n - - smtp
	  -o smtp_send_xforward_command=yes -o disable_mime_output_conversion=yes -o smtp_tls_security_level=none
	postlog unix-dgram n - n - 1 postlogd
	pickup unix n - n 60 1 pickup
	cleanup unix n - n - 0 cleanup
	qmgr unix n - n 300 1 qmgr
	rewrite unix - - n - - trivial-rewrite
	bounce unix - - n - 0 bounce
	defer unix - - n - 0 bounce
	trace unix - - n - 0 bounce
	verify unix - - n - 1 verify
	flush unix n - n 1000? 0 flush
	proxymap unix - - n - - proxymap
	smtp unix - - n - - smtp
	relay unix - - n - - smtp
	showq unix n - n - - showq
	error unix - - n - - error
	retry unix - - n - - error
	discard unix - - n - - discard
	virtual unix - n n - - virtual
	lmtp unix - - n - - lmtp
	anvil unix - - n - 1 anvil
	tlsmgr unix - - n 1000? 1 tlsmgr
	scache unix - - n - 1 scache
	E
}

# Changes main.cf; replaces keys, since a double one is a warning in every daemon.
postfix_edit() {
	postfix_dir=$1
	shift
	for postfix_pair in "$@"; do
		for postfix_port in mx submission hop plain reinject; do
			postfix_pair=$(echo "$postfix_pair" | sed "s|@$postfix_port@|$(cat "$postfix_dir/$postfix_port")|g")
		done
		postconf -c "$postfix_dir/etc" -e "$postfix_pair" || return 1
	done
	# Postfix sleeps when its configuration is younger than two seconds.
	touch -d '1 minute ago' "$postfix_dir/etc/main.cf" "$postfix_dir/etc/master.cf"
}

postfix_set() {
	postfix_edit "$@" && postfix -c "$postfix_dir/etc" reload >/dev/null 2>&1
}

# postfix_login DIR SERVICE LOGIN PASSWORD: LOGIN is user@realm
postfix_login() {
	mkdir -p "$1/etc/sasl"
	cat >"$1/etc/sasl/$2.conf" <<-E
	pwcheck_method: auxprop
	auxprop_plugin: sasldb
	sasldb_path: $1/etc/sasl/$2.db
	mech_list: PLAIN
	E
	echo "$4" | saslpasswd2 -p -c -f "$1/etc/sasl/$2.db" -u "${3#*@}" "${3%@*}" || return 1
	chgrp postfix "$1/etc/sasl/$2.db" && chmod 640 "$1/etc/sasl/$2.db"
}

# postfix_user DIR LOGIN PASSWORD: one of the staff
postfix_user() {
	postfix_login "$1" smtpd "$2" "$3"
}

# postfix_ports DIR: chooses them, and the password of the reinject port; once, so that others may be told before it runs
postfix_ports() {
	[ ! -f "$1/sink.port" ] || return 0
	mkdir -p "$1/etc"
	postfix_ports=$(free_port 6) || return 1
	for postfix_name in mx submission hop plain reinject sink.port; do
		echo "${postfix_ports%% *}" >"$1/$postfix_name"
		postfix_ports=${postfix_ports#* }
	done
	command -v saslpasswd2 >/dev/null || return 0
	(umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' ' >"$1/port.password")
	postfix_login "$1" sealgate gate@localhost "$(cat "$1/port.password")"
}

postfix_up() {
	postfix_dir=$1
	shift
	mkdir -p "$postfix_dir/etc" "$postfix_dir/queue" "$postfix_dir/data" "$postfix_dir/mail" "$postfix_dir/sink" || return 1
	chown postfix "$postfix_dir/data"
	chown nobody "$postfix_dir/mail"
	[ -f "$postfix_dir/domains" ] || echo local.test >"$postfix_dir/domains"
	[ -f "$postfix_dir/mailboxes" ] ||
		for postfix_name in alice bob carol; do echo "$postfix_name@local.test $postfix_name@local.test/"; done \
			>"$postfix_dir/mailboxes"
	postfix_ports "$postfix_dir" || return 1
	postfix_main_cf "$postfix_dir" >"$postfix_dir/etc/main.cf"
	postfix_master_cf "$postfix_dir" >"$postfix_dir/etc/master.cf"
	# More services, with @mx@, @submission@, @hop@ and @plain@ for the ports.
	if [ -f "$postfix_dir/master.more" ]; then
		for postfix_port in mx submission hop plain; do
			sed -i "s|@$postfix_port@|$(cat "$postfix_dir/$postfix_port")|g" "$postfix_dir/master.more"
		done
		cat "$postfix_dir/master.more" >>"$postfix_dir/etc/master.cf"
	fi
	postfix_edit "$postfix_dir" "$@" || return 1
	postfix -c "$postfix_dir/etc" check >"$postfix_dir/check.log" 2>&1 || { cat "$postfix_dir/check.log" >&2; return 1; }
	smtp_sink_up "$postfix_dir/sink" "$(cat "$postfix_dir/sink.port")" || return 1
	servers_remember postfix_down "$postfix_dir"
	# -w: returns when it listens. Its standard output must not keep a pipe of the caller's open.
	/usr/lib/postfix/sbin/master -w -c "$postfix_dir/etc" >>"$postfix_dir/check.log" 2>&1 </dev/null ||
		{ cat "$postfix_dir/check.log" "$postfix_dir/maillog" >&2; return 1; }
}

postfix_down() {
	stop_pid "$1/queue/pid/master.pid"
	smtp_sink_down "$1/sink"
}

# postfix_is_idle DIR: nothing is on its way any more
postfix_is_idle() {
	postfix_queue=$(postqueue -c "$1/etc" -j 2>/dev/null) && [ -z "$postfix_queue" ]
}

# --- Sendmail, unpacked beside Postfix: both packages want to be the system's only MTA

# sendmail_unpack: prints the folder with Debian's Sendmail unpacked; made once for a machine
sendmail_unpack() {
	sendmail_root=${SEALGATE_CACHE:-/var/cache/sealgate-tests}/sendmail
	if [ ! -e "$sendmail_root/.complete" ]; then
		sendmail_new=$(mktemp -d "${TMPDIR:-/tmp}/sealgate-sendmail.XXXXXX") || return 1
		chmod 755 "$sendmail_new"
		(cd "$sendmail_new" && apt-get download -qq sendmail-bin sendmail-base sendmail-cf >/dev/null 2>&1 &&
			for sendmail_deb in *.deb; do dpkg -x "$sendmail_deb" . || exit 1; done && rm -f ./*.deb && : >.complete) ||
			{ rm -rf "$sendmail_new"; return 1; }
		mkdir -p "${sendmail_root%/*}"
		# Somebody else may have been quicker; theirs is as good.
		mv -T "$sendmail_new" "$sendmail_root" 2>/dev/null || rm -rf "$sendmail_new"
	fi
	echo "$sendmail_root"
}

sendmail_mc() {
	cat <<-E
	divert(-1)
	include(\`$2/usr/share/sendmail/cf/m4/cf.m4')
	divert(0)
	OSTYPE(\`linux')
	define(\`confCF_VERSION', \`sealgate-test')
	define(\`confPID_FILE', \`$1/sendmail.pid')
	define(\`confSERVICE_SWITCH_FILE', \`$1/service.switch')
	define(\`confHOSTS_FILE', \`/etc/hosts')
	define(\`QUEUE_DIR', \`$1/queue')
	define(\`STATUS_FILE', \`$1/statistics')
	define(\`ALIAS_FILE', \`')
	define(\`confDONT_BLAME_SENDMAIL', \`GroupWritableDirPathSafe,TrustStickyBit')
	define(\`confDOMAIN_NAME', \`sendmail.local.test')
	define(\`confTO_IDENT', \`0')
	define(\`confQUEUE_LA', \`1000')
	define(\`confREFUSE_LA', \`1000')
	define(\`SMART_HOST', \`esmtp:[127.0.0.1]')
	define(\`ESMTP_MAILER_ARGS', \`TCP \$h $3')
	DAEMON_OPTIONS(\`Name=MTA, Addr=127.0.0.1, Port=$(cat "$1/port")')
	DAEMON_OPTIONS(\`Name=REINJECT, Addr=127.0.0.1, Port=$(cat "$1/reinject"), M=E, InputMailFilters=')
	FEATURE(\`no_default_msa')
	FEATURE(\`promiscuous_relay')
	FEATURE(\`accept_unqualified_senders')
	FEATURE(\`accept_unresolvable_domains')
	FEATURE(\`nocanonify')
	INPUT_MAIL_FILTER(\`sealgate', \`S=$4, F=T, T=C:10s;S:30s;R:30s;E:5m')
	MAILER(\`smtp')
	$(cat "$1/more.mc" 2>/dev/null)
	E
}

# sendmail_up DIR NEXT_PORT MILTER: takes mail on DIR/port, asks MILTER ("inet:PORT@ADDRESS" or "unix:PATH") and hands on to NEXT_PORT
sendmail_up() {
	sendmail_root=$(sendmail_unpack) || { servers_fail "Sendmail's packages cannot be had"; return 77; }
	mkdir -p "$1/queue" || return 1
	chmod 700 "$1/queue"
	[ -f "$1/port" ] || { free_port >"$1/port" && free_port >"$1/reinject"; }
	echo "hosts files" >"$1/service.switch"
	sendmail_mc "$1" "$sendmail_root" "$2" "$3" >"$1/test.mc"
	[ ! -f "$1/edit.sed" ] || sed -i -f "$1/edit.sed" "$1/test.mc"
	m4 -D_CF_DIR_="$sendmail_root/usr/share/sendmail/cf/" "$1/test.mc" >"$1/test.cf" 2>>"$1/sendmail.log" || return 1
	servers_remember sendmail_down "$1"
	# It wants a host name with a dot, or waits a minute for one: so it gets one of its own, where that is allowed.
	sendmail_named=hostname sendmail_alone="unshare --uts"
	$sendmail_alone hostname sendmail.local.test 2>/dev/null || sendmail_named=: sendmail_alone=
	if [ -d "$1/dev" ]; then
		sendmail_named='mount --bind /dev "$1/devices" && mount --bind "$1/dev" /dev && hostname'
		sendmail_alone="unshare --uts --mount"
	fi
	$sendmail_alone sh -c "$sendmail_named"' sendmail.local.test && exec "$0" -C "$1/test.cf" -L sm-mta -bd -X "$1/dialogue"' \
		"$(sendmail_binary "$sendmail_root")" "$1" >>"$1/sendmail.log" 2>&1 </dev/null || { cat "$1/sendmail.log" >&2; return 1; }
	wait_port "$(cat "$1/port")" && wait_for 10 test -s "$1/sendmail.pid" || { cat "$1/sendmail.log" >&2; return 1; }
}

# A /dev of its own: the same devices, and another log. Both are mounted in Sendmail's own name space and nowhere else.
sendmail_logs() {
	unshare --uts --mount mount --bind /mnt /mnt 2>/dev/null || return 1
	mkdir -p "$1/dev" "$1/devices" || return 1
	for sendmail_device in null zero random urandom; do
		ln -sf "$1/devices/$sendmail_device" "$1/dev/$sendmail_device"
	done
	process_up "$1" syslog "$SERVERS_LIB/syslog-file" "$1/dev/log" "$1/maillog" ${2:+"$2"}
	wait_for 5 test -S "$1/dev/log"
}

sendmail_binary() {
	for sendmail_path in "$1/usr/libexec/sendmail/sendmail" "$1/usr/lib/sm.bin/sendmail"; do
		[ ! -x "$sendmail_path" ] || { echo "$sendmail_path"; return; }
	done
}

sendmail_down() {
	# The first line is its number, the second its command.
	[ -s "$1/sendmail.pid" ] || return 0
	sed -n 1p "$1/sendmail.pid" >"$1/pid"
	stop_pid "$1/pid"
	rm -f "$1/sendmail.pid"
}

# --- certificates of other people, made with the openssl command
#
#   pki_ca DIR NAME                        DIR/ca.pem, DIR/ca.key
#   pki_person DIR FILE ADDRESS [OPTION…]  DIR/FILE.pem, .key, .der, .p7 (certificate and CA); openssl x509 options, or $PKI_EXPIRED
#   pki_server DIR TLSDIR                  TLSDIR/{ca,cert,key}.pem for 127.0.0.1
#   ldif_person DN ADDRESS [ATTRIBUTE FILE]…   an entry with binary values

# Of yesterday: OpenSSL 3.5 takes no negative days, 3.0 no dates.
if openssl x509 -help 2>&1 | grep -q -e -not_before; then
	PKI_EXPIRED="-not_before 20240101000000Z -not_after 20240201000000Z"
else
	PKI_EXPIRED="-days -1"
fi

pki_quiet() {
	"$@" >"${SERVERS:-/tmp}/openssl.log" 2>&1 || { cat "${SERVERS:-/tmp}/openssl.log" >&2; return 1; }
}

pki_key() {
	case "${PKI_KEY:-rsa}" in
	rsa)
		# $PKI_MADE: those that were made once for this build, by the names of the files.
		if [ -n "${PKI_MADE:-}" ]; then
			pki_quiet env SEALGATE_BUILD="$PKI_MADE" "$SERVERS_LIB/made-gate" key \
				"$(printf %s "${1#"$SERVERS"}" | cksum | tr ' ' -)" "$1"
		else
			pki_quiet openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1"
		fi
		;;
	ec) pki_quiet openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" ;;
	esac
}

pki_ca() {
	mkdir -p "$1" && pki_key "$1/ca.key" &&
		pki_quiet openssl req -x509 -new -key "$1/ca.key" -sha256 -days 3650 -subj "/O=$2/CN=$2 CA" \
			-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out "$1/ca.pem"
}

# pki_issue DIR KEY OUT SUBJECT EXTENSIONS [OPTION…]
pki_issue() {
	pki_dir=$1 pki_file_key=$2 pki_out=$3 pki_subject=$4
	printf '%s\n' "$5" >"$pki_out.ext"
	shift 5
	[ $# -gt 0 ] || set -- -days 365
	pki_quiet openssl req -new -key "$pki_file_key" -subj "$pki_subject" -out "$pki_out.csr" &&
		pki_quiet openssl x509 -req -in "$pki_out.csr" -CA "$pki_dir/ca.pem" -CAkey "$pki_dir/ca.key" \
			-set_serial "0x$(openssl rand -hex 16)" -sha256 -extfile "$pki_out.ext" "$@" -out "$pki_out"
	pki_status=$?
	rm -f "$pki_out.ext" "$pki_out.csr"
	return $pki_status
}

pki_person() {
	pki_base=$1/$2 pki_ca_dir=$1 pki_name=${3%%@*} pki_addr=$3
	shift 3
	[ -f "$pki_base.key" ] || pki_key "$pki_base.key" || return 1
	pki_issue "$pki_ca_dir" "$pki_base.key" "$pki_base.pem" "/CN=$pki_name" "subjectAltName=email:$pki_addr
keyUsage=critical,digitalSignature,keyEncipherment,keyAgreement
extendedKeyUsage=emailProtection
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
basicConstraints=critical,CA:FALSE" "$@" || return 1
	openssl x509 -in "$pki_base.pem" -outform DER -out "$pki_base.der" &&
		openssl crl2pkcs7 -nocrl -certfile "$pki_base.pem" -certfile "$pki_ca_dir/ca.pem" -outform DER -out "$pki_base.p7"
}

pki_server() {
	mkdir -p "$2" && pki_key "$2/key.pem" && cp "$1/ca.pem" "$2/ca.pem" &&
		pki_issue "$1" "$2/key.pem" "$2/cert.pem" "/CN=127.0.0.1" "subjectAltName=IP:127.0.0.1
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth"
}

ldif_person() {
	echo "dn: $1"
	echo "objectClass: inetOrgPerson"
	echo "cn: ${2%%@*}"
	echo "sn: ${2%%@*}"
	echo "mail: $2"
	shift 2
	while [ $# -gt 1 ]; do
		echo "$1:: $(base64 -w 0 <"$2")"
		shift 2
	done
	echo
}

# ldif_suffix SUFFIX: the entry above all others
ldif_suffix() {
	ldif_dc=${1%%,*}
	printf 'dn: %s\nobjectClass: dcObject\nobjectClass: organization\ndc: %s\no: %s\n\n' "$1" "${ldif_dc#dc=}" "${ldif_dc#dc=}"
}

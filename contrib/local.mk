dist_noinst_SCRIPTS += contrib/deps

dist_man_MANS += doc/sealgate.1 doc/sealgate-milter.8 doc/sealgate-vault.8

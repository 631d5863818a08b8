/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * java Keystores.java KEY.p8 CERT.der PASSWORDS: key files as Java and Bouncy Castle write them, named
 * java-N.p12, bc-N.p12, bcrc2-N.p12, bc3des-N.p12, bcaes-N.p12, bcnomac-N.p12 for line N of PASSWORDS (UTF-8).
 */
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import org.bouncycastle.asn1.DERBMPString;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.oiw.OIWObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.pkcs.PKCS12PfxPdu;
import org.bouncycastle.pkcs.PKCS12PfxPduBuilder;
import org.bouncycastle.pkcs.PKCS12SafeBag;
import org.bouncycastle.pkcs.PKCS12SafeBagBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS12SafeBagBuilder;
import org.bouncycastle.pkcs.jcajce.JcePKCS12MacCalculatorBuilder;
import org.bouncycastle.pkcs.jcajce.JcePKCSPBEOutputEncryptorBuilder;

public class Keystores {
	private static PrivateKey key;
	private static X509Certificate cert;

	private static void store(String type, String provider, char[] password, String file) throws Exception {
		KeyStore ks = KeyStore.getInstance(type, provider);
		ks.load(null, null);
		ks.setKeyEntry("key", key, password, new X509Certificate[] {cert});
		try (FileOutputStream out = new FileOutputStream(file)) {
			ks.store(out, password);
		}
	}

	private static void aes(char[] password, boolean mac, String file) throws Exception {
		OutputEncryptor aes = new JcePKCSPBEOutputEncryptorBuilder(NISTObjectIdentifiers.id_aes256_CBC)
			.setProvider("BC")
			.setPRF(new AlgorithmIdentifier(PKCSObjectIdentifiers.id_hmacWithSHA512))
			.setIterationCount(4096)
			.build(password);
		PKCS12SafeBagBuilder certBag = new JcaPKCS12SafeBagBuilder(cert);
		PKCS12SafeBagBuilder keyBag = new JcaPKCS12SafeBagBuilder(key, aes);
		certBag.addBagAttribute(PKCS12SafeBag.friendlyNameAttribute, new DERBMPString("鍵"));
		PKCS12PfxPduBuilder builder = new PKCS12PfxPduBuilder();
		builder.addData(keyBag.build());
		builder.addEncryptedData(aes, new PKCS12SafeBag[] {certBag.build()});
		PKCS12PfxPdu pfx = builder.build(mac
			? new JcePKCS12MacCalculatorBuilder(NISTObjectIdentifiers.id_sha256).setProvider("BC")
			: null, password);
		Files.write(Path.of(file), pfx.getEncoded());
	}

	public static void main(String[] args) throws Exception {
		int n = 0;
		Security.addProvider(new BouncyCastleProvider());
		key = KeyFactory.getInstance("RSA").generatePrivate(
			new PKCS8EncodedKeySpec(Files.readAllBytes(Path.of(args[0]))));
		cert = (X509Certificate)CertificateFactory.getInstance("X.509")
			.generateCertificate(new FileInputStream(args[1]));
		for (String line : Files.readAllLines(Path.of(args[2]), StandardCharsets.UTF_8)) {
			char[] password = line.toCharArray();
			n++;
			if (line.chars().allMatch(c -> c < 128)) // Java's own PBES2 takes no others
				store("PKCS12", "SunJSSE", password, "java-" + n + ".p12");
			store("PKCS12", "BC", password, "bc-" + n + ".p12");
			store("PKCS12-3DES-40RC2", "BC", password, "bcrc2-" + n + ".p12");
			store("PKCS12-3DES-3DES", "BC", password, "bc3des-" + n + ".p12");
			if (line.isEmpty()) // no PBKDF2 without a password here
				continue;
			aes(password, true, "bcaes-" + n + ".p12");
			aes(password, false, "bcnomac-" + n + ".p12");
		}
	}
}

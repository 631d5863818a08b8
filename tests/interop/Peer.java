/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * java Peer.java PEOPLE COMMANDS: Bouncy Castle makes and reads S/MIME mail, many in one run.
 *
 * PEOPLE has NAME.p8 (PKCS#8), NAME.der, ca.der. COMMANDS has a command on each line, its words divided by tabs:
 *   make  ID OUT FROM TO ENTITY STEP…   a message around the entity, one layer for each step:
 *           clear=HOW=NAME[,NAME…]   opaque=…   encrypt=CIPHER=TRANSPORT=NAME[,NAME…]; the words are those of peers.sh
 *   read  ID IN NAME CA LAYERS OUT      takes all layers off with NAME's key, every signature good and issued below the CA
 * Answers "ID yes" or "ID no REASON" on standard output.
 */
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.CertStore;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import javax.activation.CommandMap;
import javax.activation.MailcapCommandMap;
import javax.mail.Session;
import javax.mail.internet.MailDateFormat;
import javax.mail.internet.MimeBodyPart;
import javax.mail.internet.MimeMessage;
import javax.mail.internet.MimeMultipart;
import javax.mail.internet.MimePart;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.KeyTransRecipientInformation;
import org.bouncycastle.cms.KeyAgreeRecipientInformation;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.SignerInformationStore;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientId;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientId;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.mail.smime.SMIMEEnveloped;
import org.bouncycastle.mail.smime.SMIMEEnvelopedGenerator;
import org.bouncycastle.mail.smime.SMIMESigned;
import org.bouncycastle.mail.smime.SMIMESignedGenerator;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.util.Store;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import java.security.spec.MGF1ParameterSpec;

public class Peer {
	private static final int MAX_LAYERS = 5;
	private static Path people;
	private static final Session session = Session.getDefaultInstance(new Properties());

	private static PrivateKey key(String name) throws Exception {
		PKCS8EncodedKeySpec spec = new PKCS8EncodedKeySpec(Files.readAllBytes(people.resolve(name + ".p8")));
		String type = cert(name).getPublicKey().getAlgorithm();
		return KeyFactory.getInstance(type, "BC").generatePrivate(spec);
	}

	private static X509Certificate cert(String name) throws Exception {
		try (InputStream in = new FileInputStream(people.resolve(name + ".der").toFile())) {
			return (X509Certificate)CertificateFactory.getInstance("X.509", "BC").generateCertificate(in);
		}
	}

	private static byte[] bytes(MimePart part) throws Exception {
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		part.writeTo(out);
		return out.toByteArray();
	}

	// --- making

	// The word of a step, as Java says it for this key
	private static String algorithm(String how, X509Certificate cert) {
		String type = cert.getPublicKey().getAlgorithm();
		if (how.equals("eddsa"))
			return "Ed25519";
		if (how.equals("pss"))
			return "SHA256withRSAandMGF1";
		return (how.startsWith("sha") ? how.toUpperCase() : "SHA256") + "with" + (type.startsWith("EC") ? "ECDSA" : type);
	}

	private static MimeBodyPart sign(MimeBodyPart part, boolean clear, String how, String[] names) throws Exception {
		SMIMESignedGenerator generator = new SMIMESignedGenerator();
		List<X509Certificate> certs = new ArrayList<>();
		for (String name : names) {
			JcaSimpleSignerInfoGeneratorBuilder builder = new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC");
			String full = algorithm(how, cert(name));
			generator.addSignerInfoGenerator(how.equals("ski") ? builder.build(full, key(name), keyIdentifier(cert(name)))
				: builder.build(full, key(name), cert(name)));
			certs.add(cert(name));
		}
		generator.addCertificates(new JcaCertStore(certs));
		if (!clear)
			return generator.generateEncapsulated(part);
		MimeBodyPart signed = new MimeBodyPart();
		MimeMultipart parts = generator.generate(part);
		signed.setContent(parts, parts.getContentType());
		signed.setHeader("Content-Type", parts.getContentType());
		return signed;
	}

	private static byte[] keyIdentifier(X509Certificate cert) throws Exception {
		return new JcaX509ExtensionUtils().createSubjectKeyIdentifier(cert.getPublicKey()).getKeyIdentifier();
	}

	private static RecipientInfoGenerator recipient(String transport, String name) throws Exception {
		X509Certificate to = cert(name);
		String hash;
		switch (transport) {
		case "v15":
			return new JceKeyTransRecipientInfoGenerator(to).setProvider("BC");
		case "ski":
			return new JceKeyTransRecipientInfoGenerator(keyIdentifier(to), to.getPublicKey()).setProvider("BC");
		case "oaep-sha1":
		case "oaep-sha256":
			hash = transport.equals("oaep-sha1") ? "SHA-1" : "SHA-256";
			return new JceKeyTransRecipientInfoGenerator(to, new JcaAlgorithmParametersConverter()
				.getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, new OAEPParameterSpec(hash, "MGF1",
					new MGF1ParameterSpec(hash), PSource.PSpecified.DEFAULT))).setProvider("BC");
		case "der":
			throw new Exception("writes BER");
		default: // ecdh-sha1, ecdh-sha256, …: the sender's key is made for this message
			java.security.KeyPairGenerator pairs = java.security.KeyPairGenerator.getInstance(
				to.getPublicKey().getAlgorithm(), "BC");
			if (to.getPublicKey() instanceof java.security.interfaces.ECPublicKey)
				pairs.initialize(((java.security.interfaces.ECPublicKey)to.getPublicKey()).getParams());
			java.security.KeyPair pair = pairs.generateKeyPair();
			ASN1ObjectIdentifier agreement;
			if (transport.equals("ecdh-sha1"))
				agreement = CMSAlgorithm.ECDH_SHA1KDF;
			else if (transport.equals("ecdh-sha384"))
				agreement = CMSAlgorithm.ECDH_SHA384KDF;
			else if (transport.equals("ecdh-sha512"))
				agreement = CMSAlgorithm.ECDH_SHA512KDF;
			else
				agreement = CMSAlgorithm.ECDH_SHA256KDF;
			return new JceKeyAgreeRecipientInfoGenerator(agreement, pair.getPrivate(), pair.getPublic(),
				CMSAlgorithm.AES256_WRAP).addRecipient(to).setProvider("BC");
		}
	}

	private static ASN1ObjectIdentifier cipher(String name) {
		switch (name) {
		case "3des": return CMSAlgorithm.DES_EDE3_CBC;
		case "aes128": return CMSAlgorithm.AES128_CBC;
		case "any":
		case "aes256": return CMSAlgorithm.AES256_CBC;
		case "gcm128": return CMSAlgorithm.AES128_GCM;
		case "gcm256": return CMSAlgorithm.AES256_GCM;
		default: throw new IllegalArgumentException(name);
		}
	}

	private static MimeBodyPart encrypt(MimeBodyPart part, String cipher, String transport, String[] names) throws Exception {
		OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(cipher(cipher)).setProvider("BC").build();
		if (!cipher.startsWith("gcm")) {
			SMIMEEnvelopedGenerator generator = new SMIMEEnvelopedGenerator();
			for (String name : names)
				generator.addRecipientInfoGenerator(recipient(transport, name));
			return generator.generate(part, encryptor);
		}
		CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
		for (String name : names)
			generator.addRecipientInfoGenerator(recipient(transport, name));
		CMSAuthEnvelopedData data = generator.generate(new CMSProcessableByteArray(bytes(part)),
			(OutputAEADEncryptor)encryptor);
		String text = "Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m\r\n" +
			"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\r\n" +
			java.util.Base64.getMimeEncoder().encodeToString(data.getEncoded()) + "\r\n";
		return new MimeBodyPart(new ByteArrayInputStream(text.getBytes(StandardCharsets.US_ASCII)));
	}

	private static void make(String[] word) throws Exception {
		MimeBodyPart part = new MimeBodyPart(new FileInputStream(word[5]));
		for (String step : Arrays.copyOfRange(word, 6, word.length)) {
			String[] how = step.split("=");
			if (how[0].equals("encrypt"))
				part = encrypt(part, how[1], how[2], how[3].split(","));
			else
				part = sign(part, how[0].equals("clear"), how[1], how[2].split(","));
		}
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		out.write(("From: " + word[3] + "\r\nTo: " + word[4] + "\r\nSubject: from Bouncy Castle\r\n" +
			"Message-ID: <" + word[1] + "@bc.example>\r\nMIME-Version: 1.0\r\nDate: " +
			new MailDateFormat().format(new Date()) + "\r\n").getBytes(StandardCharsets.US_ASCII));
		part.writeTo(out);
		Files.write(Path.of(word[2]), out.toByteArray());
	}

	// --- reading

	private static void checkPath(X509Certificate leaf, Collection<X509Certificate> others, String ca) throws Exception {
		X509CertSelector target = new X509CertSelector();
		target.setCertificate(leaf);
		PKIXBuilderParameters params = new PKIXBuilderParameters(Set.of(new TrustAnchor(cert(ca), null)), target);
		params.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(others), "BC"));
		params.setRevocationEnabled(false);
		CertPathBuilder.getInstance("PKIX", "BC").build(params);
	}

	private static void checkSigners(CMSSignedData signed, String ca) throws Exception {
		SignerInformationStore signers = signed.getSignerInfos();
		Store<X509CertificateHolder> store = signed.getCertificates();
		JcaX509CertificateConverter converter = new JcaX509CertificateConverter().setProvider("BC");
		List<X509Certificate> all = new ArrayList<>();
		for (X509CertificateHolder holder : store.getMatches(null))
			all.add(converter.getCertificate(holder));
		if (signers.size() == 0)
			throw new Exception("nobody signed it");
		for (SignerInformation signer : signers.getSigners()) {
			@SuppressWarnings("unchecked")
			Collection<X509CertificateHolder> found = store.getMatches(signer.getSID());
			X509Certificate leaf = converter.getCertificate(found.iterator().next());
			if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(leaf)))
				throw new Exception("bad signature");
			checkPath(leaf, all, ca);
		}
	}

	private static byte[] content(RecipientInformation info, PrivateKey key, boolean authenticated) throws Exception {
		if (info instanceof KeyAgreeRecipientInformation) {
			if (authenticated)
				throw new Exception("no reader for a key agreement with authenticated encryption");
			return info.getContent(new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC"));
		}
		return authenticated ? info.getContent(new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC"))
				     : info.getContent(new JceKeyTransEnvelopedRecipient(key).setProvider("BC"));
	}

	private static MimeBodyPart open(MimePart part, String name, boolean authenticated) throws Exception {
		RecipientInformationStore infos = authenticated
			? new CMSAuthEnvelopedData(part.getInputStream()).getRecipientInfos()
			: new SMIMEEnveloped(new MimeBodyPart(new ByteArrayInputStream(bytes(part)))).getRecipientInfos();
		X509Certificate own = cert(name);
		RecipientInformation info = own.getPublicKey().getAlgorithm().equals("RSA")
			? infos.get(new JceKeyTransRecipientId(own)) : infos.get(new JceKeyAgreeRecipientId(own));
		if (info == null)
			throw new Exception("not for " + name);
		return new MimeBodyPart(new ByteArrayInputStream(content(info, key(name), authenticated)));
	}

	private static void read(String[] word) throws Exception {
		MimePart part = new MimeMessage(session, new FileInputStream(word[2]));
		int layers = 0;
		while (layers < MAX_LAYERS) {
			String type = part.getContentType().toLowerCase();
			if (part.isMimeType("multipart/signed")) {
				SMIMESigned signed = new SMIMESigned((MimeMultipart)part.getContent());
				checkSigners(signed, word[4]);
				part = signed.getContent();
			} else if (type.contains("signed-data")) {
				SMIMESigned signed = new SMIMESigned(part);
				checkSigners(signed, word[4]);
				part = signed.getContent();
			} else if (type.contains("enveloped-data")) {
				part = open(part, word[3], type.contains("authenveloped-data"));
			} else {
				break;
			}
			layers++;
		}
		if (layers != Integer.parseInt(word[5]))
			throw new Exception(layers + " layers");
		Files.write(Path.of(word[6]), bytes(part));
	}

	public static void main(String[] args) throws Exception {
		Security.addProvider(new BouncyCastleProvider());
		MailcapCommandMap types = (MailcapCommandMap)CommandMap.getDefaultCommandMap();
		String handlers = "org.bouncycastle.mail.smime.handlers.";
		types.addMailcap("application/pkcs7-signature;; x-java-content-handler=" + handlers + "pkcs7_signature");
		types.addMailcap("application/pkcs7-mime;; x-java-content-handler=" + handlers + "pkcs7_mime");
		types.addMailcap("multipart/signed;; x-java-content-handler=" + handlers + "multipart_signed");
		CommandMap.setDefaultCommandMap(types);
		people = Path.of(args[0]);
		for (String line : Files.readAllLines(Path.of(args[1]))) {
			String[] word = line.split("\t");
			try {
				if (word[0].equals("make"))
					make(word);
				else
					read(word);
				System.out.println(word[1] + " yes");
			} catch (Exception e) {
				System.out.println(word[1] + " no " + String.valueOf(e).replaceAll("\\s+", " "));
			}
		}
	}
}

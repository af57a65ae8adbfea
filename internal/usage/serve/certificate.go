// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/netip"

	"k8s.io/client-go/util/cert"
)

// NewCertificate makes a certificate that lives as long as the process. Nobody has to
// have signed it: whoever asks knows its pin, the SHA-256 of it in hexadecimal, from
// the Lease that only auth servers can write.
func NewCertificate(address netip.Addr) (certificate tls.Certificate, pin string, err error) {
	chain, key, err := cert.GenerateSelfSignedCertKey(address.String(), nil, nil)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make certificate: %w", err)
	}
	certificate, err = tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("read certificate: %w", err)
	}
	// The authority that signed it, of which nobody has heard, need not be sent.
	certificate.Certificate = certificate.Certificate[:1]
	sum := sha256.Sum256(certificate.Certificate[0])
	return certificate, hex.EncodeToString(sum[:]), nil
}

// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// NewCertificate makes a certificate that lives as long as the process, for a key on the
// curve P-256, which is made in no time. Nobody has to have signed it, and it names no
// address: whoever asks knows its pin, the SHA-256 of it in hexadecimal, from the Lease
// that only auth servers can write.
func NewCertificate() (certificate tls.Certificate, pin string, err error) {
	encoded, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make key of certificate: %w", err)
	}
	key, err := keyutil.ParsePrivateKeyPEM(encoded)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("read key of certificate: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return tls.Certificate{}, "", errors.New("make certificate: its key signs nothing")
	}
	made, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "apikey-authserver"}, signer)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make certificate: %w", err)
	}
	sum := sha256.Sum256(made.Raw)
	return tls.Certificate{Certificate: [][]byte{made.Raw}, PrivateKey: key}, hex.EncodeToString(sum[:]), nil
}

// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// LoadCertificates reads tls.crt and tls.key from a directory, as a mounted Secret
// of type kubernetes.io/tls has them. While the Server runs they are read again
// when they change.
func LoadCertificates(directory string) (*certwatcher.CertWatcher, error) {
	watcher, err := certwatcher.New(filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	return watcher, nil
}

// tlsConfig serves whatever certificate is the current one.
func tlsConfig(watcher *certwatcher.CertWatcher) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: watcher.GetCertificate}
}

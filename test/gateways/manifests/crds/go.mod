// The modules whose CRDs config/gateways is validated against. Nothing of them is
// compiled: a test reads the CRDs from their files.
module github.com/hexcovery/apikey-operator/test/gateways/manifests/crds

go 1.26.0

require (
	github.com/envoyproxy/gateway v1.9.1
	github.com/traefik/traefik/v3 v3.7.13
	istio.io/api v1.31.4
	sigs.k8s.io/gateway-api v1.6.3
)

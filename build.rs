//! Generates the gRPC code with protox: no protoc is needed.

use std::path::PathBuf;

const PROTOS: [&str; 9] = [
    "lienthong/v1/common.proto",
    "lienthong/v1/envelope.proto",
    "lienthong/v1/event.proto",
    "lienthong/v1/exchange.proto",
    "lienthong/v1/peer.proto",
    "lienthong/v1/audit.proto",
    "lienthong/v1/report.proto",
    "lienthong/v1/directory.proto",
    "lienthong/v1/retention.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // For server reflection; the comments travel with it.
    let bytes = prost_types_encode(&descriptors);
    std::fs::write(out.join("descriptors.bin"), bytes)?;
    tonic_prost_build::configure()
        .bytes(".lienthong.v1")
        .codec_path("crate::wire::codec::BoundedCodec")
        .compile_fds(descriptors)?;
    Ok(())
}

fn prost_types_encode(descriptors: &impl protox::prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}

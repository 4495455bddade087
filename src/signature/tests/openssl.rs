//! OpenSSL's word on what is made here, where it is installed.

use std::path::PathBuf;
use std::process::Command;

use super::pki::now;

/// Files for OpenSSL, one of them the root that it trusts.
pub struct OpenSsl {
    dir: tempfile::TempDir,
}

impl OpenSsl {
    /// None where it is not installed: the test says so and goes on without.
    pub fn trusting(root: &[u8]) -> Option<OpenSsl> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: there is no openssl here");
            return None;
        }
        let here = OpenSsl { dir: tempfile::tempdir().unwrap() };
        here.certificate("root.pem", root);
        Some(here)
    }

    /// A file of its own.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A certificate in PEM.
    pub fn certificate(&self, name: &str, der: &[u8]) -> PathBuf {
        let pem = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).unwrap();
        self.file(name, pem.as_bytes())
    }

    /// Runs a command that must succeed, at the time of the tests.
    pub fn accepts(&self, arguments: &[&str], files: &[(&str, PathBuf)]) {
        let mut command = Command::new("openssl");
        command.args(arguments).args(["-attime", &now().secs().to_string()]);
        command.arg("-CAfile").arg(self.dir.path().join("root.pem"));
        files.iter().for_each(|(option, path)| {
            command.arg(option).arg(path);
        });
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A detached CAdES signature over the content.
    pub fn accepts_signature(&self, signature: &[u8], content: &[u8]) {
        self.accepts(
            &[
                "cms",
                "-verify",
                "-cades",
                "-binary",
                "-purpose",
                "any",
                "-inform",
                "DER",
                "-out",
                "/dev/null",
            ],
            &[("-in", self.file("x.p7s", signature)), ("-content", self.file("content", content))],
        );
    }
}

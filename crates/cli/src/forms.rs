//! Forms of notices and diffusions as files: TOML or JSON with the keys of `proto/i247/v1/notice.proto`, and an empty
//! one to fill in. What a form must say is not checked here; the desk does, and names all that is missing.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use i247_client::pb;
use i247_model::Colour;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::fail::Fail;
use crate::reflect::{describe, from_json, words};

/// Largest file of a form, in bytes.
const MAX_FORM_BYTES: u64 = 512 * 1024;

/// The message that a file of a form holds.
const FORM: &str = "NoticeForm";

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<String, Fail> {
    let next = "see that the path is right and the file is text of at most 512 KiB";
    let failed = |error: std::io::Error| Fail::because(path.display().to_string(), &error, next);
    let mut text = String::new();
    let mut limited: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().take(MAX_FORM_BYTES + 1))
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?.take(MAX_FORM_BYTES + 1))
    };
    limited.read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FORM_BYTES {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    Ok(text)
}

/// The form of this colour that a text holds: JSON when it begins with `{`, else TOML.
pub(crate) fn parse(text: &str, colour: Colour) -> Result<pb::NoticeForm, Fail> {
    let json: serde_json::Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| unreadable(colour, &format!("not JSON: {error}")))?
    } else {
        let table: toml::Table =
            text.parse().map_err(|error| unreadable(colour, &format!("not TOML: {error}")))?;
        serde_json::to_value(table).map_err(|error| unreadable(colour, &error.to_string()))?
    };
    let known = describe(FORM).ok_or_else(|| unreadable(colour, "this program is broken"))?;
    let message = from_json(known, &json).map_err(|faults| Fail {
        fields: faults,
        ..unreadable(colour, "some keys are not as they should be")
    })?;
    let form: pb::NoticeForm =
        message.transcode_to().map_err(|error| unreadable(colour, &error.to_string()))?;
    match form.form.as_ref().map(colour_of) {
        Some(found) if found != colour => {
            Err(unreadable(colour, &format!("it holds the form of a {found} notice, not of a {colour} one")))
        }
        Some(_) => Ok(form),
        None => Err(unreadable(colour, &format!("it has no table [{}]", key(colour)))),
    }
}

/// The colour of a form.
pub(crate) fn colour_of(form: &pb::notice_form::Form) -> Colour {
    use pb::notice_form::Form;
    match form {
        Form::Red(_) => Colour::Red,
        Form::Yellow(_) => Colour::Yellow,
        Form::Blue(_) => Colour::Blue,
        Form::Green(_) => Colour::Green,
        Form::Orange(_) => Colour::Orange,
        Form::Purple(_) => Colour::Purple,
        Form::Black(_) => Colour::Black,
    }
}

/// The key of a colour's table.
pub(crate) fn key(colour: Colour) -> String {
    colour.as_str().to_owned()
}

fn unreadable(colour: Colour, problem: &str) -> Fail {
    Fail {
        exit: crate::fail::Exit::Usage,
        ..Fail::local(
            format!("the form cannot be read: {problem}"),
            format!("`i247 notice {} --template` prints an empty form with every key", key(colour)),
        )
    }
}

/// An empty form of this colour with the comments of the proto file.
pub(crate) fn template(colour: Colour) -> String {
    let mut text = format!(
        "# Form of a notice or diffusion, {colour}. Fill in what is known; what must be there and is not is named\n\
         # when the form is sent. Invented persons only.\n\n"
    );
    if let Some(known) = describe(FORM) {
        table(&mut text, &known, "", Some(&key(colour)));
    }
    text
}

/// The keys of a message: plain ones first, since TOML wants tables last. Of a choice, only the chosen one.
fn table(text: &mut String, known: &MessageDescriptor, path: &str, chosen: Option<&str>) {
    let wanted = |field: &FieldDescriptor| field.containing_oneof().is_none() || chosen == Some(field.name());
    for field in known.fields().filter(|field| field.kind().as_message().is_none()) {
        comment(text, &comments(&field));
        if let Kind::Enum(words_of) = field.kind() {
            comment(text, &format!("One of {}.", words(&words_of).join(", ")));
        }
        let _ = writeln!(text, "{} = {}", field.name(), empty(&field));
    }
    for field in known.fields().filter(wanted) {
        let Kind::Message(within) = field.kind() else { continue };
        let path = if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
        text.push('\n');
        comment(text, &comments(&field));
        if field.is_list() {
            comment(text, "As often as needed:");
            let mut each = format!("[[{path}]]\n");
            table(&mut each, &within, &path, None);
            comment(text, &each);
        } else {
            let _ = writeln!(text, "[{path}]");
            table(text, &within, &path, None);
        }
    }
}

fn empty(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        _ if field.is_list() => "[]",
        Kind::String | Kind::Enum(_) | Kind::Bytes => "\"\"",
        Kind::Bool => "false",
        _ => "0",
    }
}

fn comment(text: &mut String, comment: &str) {
    for line in comment.lines() {
        let _ = writeln!(text, "# {}", line.trim());
    }
}

/// What the proto file says about a field.
fn comments(field: &FieldDescriptor) -> String {
    let file = field.parent_file();
    let said = file.file_descriptor_proto().source_code_info.as_ref().and_then(|info| {
        let about = info.location.iter().find(|location| location.path == field.path())?;
        about.leading_comments.clone()
    });
    said.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: &str = r#"
        person_status = "wanted"
        legal_basis = "RPD art. 82 to 87"
        [red]
        facts = "Invented."
        charges = ["Fraud"]
        max_penalty_months = 96
        [red.identity]
        family_name = "MARLOWE"
        sex = "FEMALE"
        [red.warrant]
        judicial = true
    "#;

    #[test]
    fn a_form_is_read_from_toml_and_from_json_alike() {
        let form = parse(RED, Colour::Red).unwrap();
        assert_eq!(form.person_status(), pb::PersonStatus::Wanted);
        let Some(pb::notice_form::Form::Red(red)) = &form.form else { panic!("{form:?}") };
        assert_eq!(red.max_penalty_months, 96);
        assert_eq!(red.identity.as_ref().unwrap().sex(), pb::Sex::Female);
        let json = crate::reflect::to_json("NoticeForm", &form).to_string();
        assert_eq!(parse(&json, Colour::Red).unwrap(), form);
    }

    #[test]
    fn a_form_of_another_colour_is_refused_with_the_way_to_an_empty_one() {
        let fail = parse(RED, Colour::Blue).unwrap_err();
        assert_eq!(
            fail.what,
            "the form cannot be read: it holds the form of a red notice, not of a blue one"
        );
        assert_eq!(fail.next, "`i247 notice blue --template` prints an empty form with every key");
        assert!(parse("", Colour::Blue).unwrap_err().what.ends_with("it has no table [blue]"));
        assert!(parse("{", Colour::Blue).unwrap_err().what.contains("not JSON"));
        assert!(parse("a = ", Colour::Blue).unwrap_err().what.contains("not TOML"));
    }

    #[test]
    fn every_template_can_be_read_back_and_lacks_minimum_data() {
        for colour in [
            Colour::Red,
            Colour::Yellow,
            Colour::Blue,
            Colour::Green,
            Colour::Orange,
            Colour::Purple,
            Colour::Black,
        ] {
            let form = parse(&template(colour), colour).unwrap_or_else(|fail| panic!("{fail:?}"));
            assert!(!i247_wire::missing_data(&form).is_empty());
        }
    }

    #[test]
    fn the_template_of_an_orange_notice() {
        let text = template(Colour::Orange);
        let end = text.find("[orange]").unwrap();
        assert_eq!(&text[end..], "[orange]\nthreat = \"\"\nplace = \"\"\nmeasures = []\nimminent = false\n");
        assert!(text.contains("# One of WANTED, CONVICTED,"), "{text}");
        assert!(text.contains("# An extract may be made public.\npublish_extract = false\n"), "{text}");
    }
}

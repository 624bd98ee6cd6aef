function Get-ScreenLanguage {
    # Return the language of this session's user interface: Japanese, else English.
    if ([cultureinfo]::CurrentUICulture.TwoLetterISOLanguageName -eq 'ja') { return 'ja' }
    return 'en'
}
